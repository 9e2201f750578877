"""The performance table of docs/figures.md says what the kept results say, and nothing else."""

from benchmarks import performance
from tiny import ROOT


def test_the_page_shows_the_kept_results():
    results = performance.read_results()
    kept = {path.stem for path in performance.RESULTS.glob("*.json")}
    # The page of the founding questions has its own.
    assert results and set(results) == kept - {"founding_questions"}
    page = (ROOT / "docs/figures.md").read_text()
    assert performance.put_into(page, performance.make_table(results)) == page


def test_only_the_table_is_replaced():
    text = f"before\n{performance.BEGIN}\nold\n{performance.END}\nafter\n"
    new = performance.put_into(text, "new")
    assert new == f"before\n{performance.BEGIN}\nnew\n{performance.END}\nafter\n"
    assert performance.put_into(new, "old") == text
