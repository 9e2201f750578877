"""What checks the annotations of functions and classes that tests call."""

from beartype import BeartypeConf, beartype

# A whole number is a float too, as type checkers have it.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
