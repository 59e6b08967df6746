"""The edge of the server: HTTP and WebSocket handlers. They parse, authorise, call one service and answer."""
