"""Names and texts are nothing but text in Markdown."""

import pytest

from iqa_jax.reporting.pages.markdown import block, code, prose


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photo_1.jpg", "`photo_1.jpg`"),
        ("*a* <b>\n# c", "`*a* <b> # c`"),
        ("", ""),
        ("a|b`", "<code>a&#124;b&#96;</code>"),
    ],
)
def test_chosen_words_are_code(text, expected):
    assert code(text) == expected


def test_sentences_have_no_marks():
    assert prose("a_b *c* [d](e) `f` | <g> & \\") == (
        r"a\_b \*c\* \[d\](e) \`f\` \| &lt;g\> &amp; \\"
    )
    assert "@a" not in prose("@a #1") and "#1" not in prose("@a #1")


def test_a_fence_is_longer_than_any_in_its_text():
    text = "a\n````\nb"
    fence, *inside, end = block(text).split("\n")
    assert "\n".join(inside) == text and fence == end == "`````"
