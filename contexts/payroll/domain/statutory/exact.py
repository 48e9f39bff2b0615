"""The one arithmetic of every statutory computation: 60 digits, half up, and no silent overflow.

What is computed for every payslip adds and multiplies by operators, which are twice as fast: amounts have at most 18
digits and rates 7, so that 28 digits (the default of every thread) hold each result exactly. Division and
rounding are always here.
"""

import decimal
from decimal import ROUND_HALF_UP, Context, Decimal

ZERO = Decimal(0)
FEN = Decimal("0.01")
YUAN = Decimal(1)

# Shared and never entered as the thread's context, so that no caller's setting can change a number.
EXACT = Context(
    prec=60, rounding=ROUND_HALF_UP, traps=[decimal.InvalidOperation, decimal.Overflow, decimal.DivisionByZero]
)
