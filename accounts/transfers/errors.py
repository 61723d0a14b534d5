"""The errors of transfers."""

from wallgent.errors import NotFound


class TransferNotFound(NotFound):
    code = "TRANSFER_NOT_FOUND"
    message = "There is no such transfer."
