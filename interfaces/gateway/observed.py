"""What a gateway writes of each request: one JSON line, without the query, the token or a body."""

from typing import Any

from interfaces.gateway.routes import CLAIMS, JWT

Json = dict[str, Any]

LINE = {
    "time": "%START_TIME%",
    "method": "%REQUEST_HEADER(:METHOD)%",
    "path": "%PATH(NQ):512%",
    "operation": "%ROUTE_NAME%",
    "status": "%RESPONSE_CODE%",
    "detail": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "ms": "%DURATION%",
    "service_ms": "%RESPONSE_DURATION%",
    "received_bytes": "%BYTES_RECEIVED%",
    "sent_bytes": "%BYTES_SENT%",
    "protocol": "%PROTOCOL%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "tenant_id": f"%DYNAMIC_METADATA({JWT}:{CLAIMS}:tenant)%",
    "request_id": "%REQUEST_HEADER(X-REQUEST-ID):64%",
    "connection": "%CONNECTION_ID%",
    "traceparent": "%REQUEST_HEADER(TRACEPARENT):64%",
    "upstream": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
}


def access_log() -> Json:
    """To standard output, as every part writes to its own."""
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": LINE},
        },
    }
