"""Networks of few bits as integer runtimes compute them."""
