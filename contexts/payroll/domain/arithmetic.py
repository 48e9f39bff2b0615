"""How pay is computed with: one context of decimals, and how numbers are written in stored documents."""

import decimal
from decimal import Context, Decimal

# Every formula is computed with these digits. A division may leave an error in the last one; before the named rounding
# a result is brought to EXACT_DIGITS after the point, so that an exact half is a half again.
ARITHMETIC = Context(
    prec=40,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-999999,
    Emax=999999,
    traps=[decimal.InvalidOperation, decimal.Overflow, decimal.DivisionByZero],
)
EXACT_DIGITS = 18
SHOWN_DIGITS = 6  # of quantities, rates and bases on a line

ZERO = Decimal(0)
_SHOWN = Decimal(1).scaleb(-SHOWN_DIGITS)


def plain(value: Decimal) -> str:
    """A decimal as stored documents write it: no exponent, no trailing zeros, no negative zero."""
    text = str(value)
    if text[-1] != "0" and "E" not in text:
        return text
    if text[-3:] == ".00" and text != "-0.00":
        return text[:-3]
    if "E" in text:
        text = format(value, "f")
    if "." in text:
        text = text.rstrip("0")
        if text[-1] == ".":
            text = text[:-1]
    return "0" if text == "-0" else text


def shown(value: Decimal) -> str:
    """A quantity, rate or base as a line shows it: at most six digits after the point, a half to even."""
    return plain(value.quantize(_SHOWN, context=ARITHMETIC))
