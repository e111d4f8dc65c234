"""The HTTP service: look-ups, units, tiles and the map page, from one edition in memory.

`app.create_app` builds it; nothing is opened or read before the server starts. Every error is a
problem document (RFC 9457) with a stable `code` and a sentence in English and Chinese.
"""
