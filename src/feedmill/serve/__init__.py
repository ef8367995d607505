"""The request path, the engine around it, and the HTTP service on top."""
