"""The errors of cards."""

from wallgent.errors import NotFound


class CardNotFound(NotFound):
    code = "CARD_NOT_FOUND"
    message = "There is no such card."
