"""Batches of payments: all are made, or none."""

import uuid
from collections import Counter
from typing import Annotated

from django.db import models
from pydantic import ConfigDict, Field

from accounts.payments.api.payments import PaymentInput, PaymentOutput
from accounts.payments.errors import BatchPartialFailure
from accounts.payments.services import payments
from accounts.payments.services.payments import ItemRefused, PaymentRequest
from accounts.wallets import services as wallets
from wallgent import ids, money
from wallgent.api import errors, json
from wallgent.api.idempotency import IdempotencyKey, key_of
from wallgent.api.operations import operation
from wallgent.api.schemas import AmountText, ErrorOutput, Schema, one_of
from wallgent.api.views import ApiView, json_response
from wallgent.errors import DomainError, InvalidAmount
from wallgent.money import ZERO

BATCH_LIMIT = 20


class ItemStatus(models.TextChoices):
    SUCCESS = "success"
    FAILED = "failed"
    REVERSED = "reversed"  # made, and rolled back with the batch
    SKIPPED = "skipped"


class BatchItem(PaymentInput):
    idempotency_key: str | None = None


class BatchInput(Schema):
    payments: Annotated[list[BatchItem], Field(min_length=1, max_length=BATCH_LIMIT)]


class BatchResultOutput(Schema):
    """What became of one payment of a batch."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    index: int
    status: one_of(ItemStatus)
    transaction_id: str | None
    payment: PaymentOutput | None = None
    error: ErrorOutput | None = None
    replayed: bool = False


class BatchSummaryOutput(Schema):
    total: int
    succeeded: int
    failed: int
    reversed: int
    skipped: int
    total_amount: AmountText
    total_fees: AmountText


class BatchOutput(Schema):
    batch_id: str
    results: list[BatchResultOutput]
    summary: BatchSummaryOutput


class FailedBatchOutput(BatchOutput):
    error: ErrorOutput


class PaymentBatchView(ApiView):
    path = "payments/batch"

    @operation(
        "payments:write",
        body=BatchInput,
        answers={200: BatchOutput, 207: FailedBatchOutput},
        errors=(BatchPartialFailure, InvalidAmount),
        example={"payments": [{"from": "{wallet_id}", "to": "{savings_id}", "amount": "5"}]},
    )
    def post(self, request, data):
        """Send a batch of payments."""
        return _Batch(request.actor, data.payments).run()


class _Batch:
    """One call of the batch endpoint: pays every item or none, with a result for each."""

    def __init__(self, actor, items: list[BatchItem]):
        self.actor = actor
        self.items = items
        self.id = ids.new("bat")
        self.results: list[dict | None] = [None] * len(items)
        self.keys: dict[int, IdempotencyKey] = {}
        self.duplicates: dict[int, int] = {}  # an item -> the earlier item that it repeats

    def run(self):
        """Make the payments. Raises BatchPartialFailure with the results."""
        try:
            payment_requests = self._payment_requests()
            self._claim_keys()
            fresh = [
                index
                for index, result in enumerate(self.results)
                if result is None and index not in self.duplicates
            ]
            self._pay(fresh, [payment_requests[index] for index in fresh])
        except ItemRefused as refused:
            raise self._failure(refused) from None
        self._repeat()
        return self._body()

    def _payment_requests(self) -> list[PaymentRequest]:
        """Fetch the wallets of all items in one query. Raises ItemRefused."""
        wallet_ids = [id for i in self.items for id in (i.from_wallet_id, i.to_wallet_id) if id]
        found = wallets.find_many(wallet_ids)
        payment_requests = []
        for index, item in enumerate(self.items):
            try:
                key = key_of(None, {"idempotencyKey": item.idempotency_key})
                payment_requests.append(
                    item.to_request(actor=self.actor, idempotency_key=key or "", found=found)
                )
            except DomainError as error:
                raise ItemRefused(index, error) from None
        return payment_requests

    def _claim_keys(self) -> None:
        """Claim the items' own keys; an item that was paid before keeps that result."""
        for index, item in enumerate(self.items):
            if item.idempotency_key:
                self.keys[index] = IdempotencyKey(
                    actor=self.actor,
                    key=item.idempotency_key,
                    method="POST",
                    path="/v1/payments/batch#item",
                    content=item.model_dump_json(),
                )
        first: dict[uuid.UUID, int] = {}
        refusals: dict[int, DomainError] = {}
        # All batches claim keys in the same order, so that two never wait for each other.
        for index, key in sorted(self.keys.items(), key=lambda pair: pair[1].id):
            earlier = first.setdefault(key.id, index)
            if earlier != index and self.keys[earlier].body_hash == key.body_hash:
                self.duplicates[index] = earlier
                continue
            try:
                earlier = key.claim()
            except DomainError as error:
                refusals[index] = error
                continue
            if earlier:
                self.results[index] = json.parse_object(earlier.answer.content) | {
                    "index": index,
                    "replayed": True,
                }
        if refusals:
            index = min(refusals)
            raise ItemRefused(index, refusals[index])

    def _pay(self, indexes: list[int], payment_requests: list[PaymentRequest]) -> None:
        if not indexes:
            return
        try:
            paid = payments.create_batch(payment_requests, actor=self.actor)
        except ItemRefused as refused:
            raise ItemRefused(indexes[refused.index], refused.error) from None
        for index, payment in zip(indexes, paid, strict=True):
            self.results[index] = {
                "index": index,
                "status": ItemStatus.SUCCESS,
                "transactionId": payment.id,
                "payment": PaymentOutput.of(payment).to_json(),
            }
            if index in self.keys:
                self.keys[index].store(json_response(self.results[index], 200))

    def _repeat(self) -> None:
        """Give each repeated item the result of the earlier one."""
        for index, earlier in self.duplicates.items():
            if result := self.results[earlier]:
                self.results[index] = result | {"index": index, "replayed": True}

    def _failure(self, refused: ItemRefused) -> BatchPartialFailure:
        self._repeat()
        for index, paid_before in enumerate(self.results):
            if paid_before:
                continue  # by an earlier batch, whose payment stays valid
            status = ItemStatus.REVERSED if index < refused.index else ItemStatus.SKIPPED
            self.results[index] = {"index": index, "status": status, "transactionId": None}
        self.results[refused.index] |= {
            "status": ItemStatus.FAILED,
            **errors.body(refused.error),
        }
        error = BatchPartialFailure(index=refused.index, code=refused.error.code)
        error.extra_body = self._body()
        error.after_rollback = refused.error.after_rollback
        return error

    def _body(self) -> dict:
        counts = Counter(result["status"] for result in self.results)
        paid = {r["transactionId"]: r["payment"] for r in self.results if r.get("payment")}
        total = sum((money.read(payment["amount"]) for payment in paid.values()), ZERO)
        fees = sum((money.read(payment["fee"]) for payment in paid.values()), ZERO)
        return {
            "batchId": self.id,
            "results": self.results,
            "summary": {
                "total": len(self.items),
                "succeeded": counts[ItemStatus.SUCCESS],
                "failed": counts[ItemStatus.FAILED],
                "reversed": counts[ItemStatus.REVERSED],
                "skipped": counts[ItemStatus.SKIPPED],
                "totalAmount": money.amount_text(total),
                "totalFees": money.amount_text(fees),
            },
        }
