from tests.importing import ada, at, browser, order, read, send

__all__ = ["ada", "at", "browser", "order", "read", "send"]
