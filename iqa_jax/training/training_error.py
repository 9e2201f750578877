"""The error that ends a training: known without what training needs."""


class TrainingError(RuntimeError):
    """Says why training stopped, what is kept and what to do."""
