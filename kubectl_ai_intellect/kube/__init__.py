"""The only room that opens sockets to a cluster."""
