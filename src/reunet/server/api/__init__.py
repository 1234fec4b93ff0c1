"""What other programs ask: /v1/..., /health, /metrics, /docs."""
