"""What every problem document says alike, whoever writes it: the application or the gateway."""

MEDIA_TYPE = "application/problem+json"


def title_of(reason: str) -> str:
    """EMPLOYEE_NOT_FOUND reads "Employee not found"."""
    return reason.replace("_", " ").capitalize()
