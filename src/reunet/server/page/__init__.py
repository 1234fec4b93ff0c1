"""The page: what people see in the browser."""
