"""The same core online: HTTP, gRPC and WebSocket over the three verbs, as a Ray Serve application.

Ours is imported as ``from serve.x import y``; Ray's only as ``from ray import serve``, and only where Ray is known.
"""
