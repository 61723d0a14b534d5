"""The client itself: parallel calls, pages and errors."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import wallgent
from wallgent import AsyncWallgent, IdempotencyKeyReuseError, Page, Wallgent, WallgentError


def many_threads_pay_once_per_key(stage):
    with Wallgent(stage.keys["sandbox"], base_url=f"{stage.origin}/v1/") as client:

        def pay(number):
            return client.payments.send(
                stage.wallet,
                to_wallet_id=stage.shop,
                amount="10",
                idempotency_key=f"order-{number % 4}",
            )["id"]

        with ThreadPoolExecutor(8) as pool:
            ids = list(pool.map(pay, range(16)))
    assert len(set(ids)) == 4
    assert stage.available(stage.wallet) == "959.00"


def many_tasks_pay_in_parallel(stage):
    async def pay_all():
        async with AsyncWallgent(stage.keys["sandbox"], base_url=f"{stage.origin}/v1") as client:
            calls = (
                client.payments.send(
                    stage.wallet,
                    to_wallet_id=stage.shop,
                    amount=str(number % 2 + 1),
                    idempotency_key=f"order-{number // 2}",
                )
                for number in range(12)
            )
            return await asyncio.gather(*calls, return_exceptions=True)

    responses = asyncio.run(pay_all())
    paid = [response for response in responses if isinstance(response, dict)]
    assert len(paid) == 6  # one of each pair, which has one key and two amounts
    assert {type(response) for response in responses} == {dict, IdempotencyKeyReuseError}


def pages_are_iterators(stage):
    page = Page.from_dict(stage.client.wallets.list(limit=2))
    assert len(page) == len(list(page)) == 2
    assert repr(page) == f"Page(count=2, has_more=True, next_cursor={page.next_cursor!r})"
    empty = Page.from_dict(stage.client.payments.list())
    assert (list(empty), empty.has_more, empty.next_cursor) == ([], False, None)


def every_error_has_a_class_of_the_client(stage):
    client = stage.client_of("sandbox")
    for call in (
        lambda: client.wallets.retrieve("../organizations/me/nothing"),
        lambda: client.wallets.retrieve("a/b"),
        lambda: client.wallets.create(5),
        lambda: client.wallets.create("x", metadata=["a", "list"]),
        lambda: client.payments.send(None, amount=None),
        lambda: client.payments.batch("everything"),
        lambda: client.api_keys.create("x", "wallets:read"),
        lambda: client.wallets.create("x" * 2_000_000),
    ):
        try:
            call()
        except WallgentError as error:
            assert error.error_code in ("NOT_FOUND", "VALIDATION_ERROR", "PAYLOAD_TOO_LARGE")
            assert 400 <= error.status_code < 500
        else:
            raise AssertionError("a malformed call was accepted")
    assert wallgent.__version__ == "0.3.0"
