"""What every access token says alike, whoever verifies it: the application or the gateway."""

ALGORITHM = "ES256"
AUDIENCE = "muster"
SKEW_S = 60  # by which clocks may differ
LONGEST_TOKEN = 8192  # characters, all of them ASCII
