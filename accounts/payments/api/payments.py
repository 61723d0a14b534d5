"""Payments (contract 3.2)."""

import uuid
from typing import Annotated, Literal

from pydantic import Field

from accounts.payments.errors import BatchPartialFailure
from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.payments.services.payments import ItemRefused, PaymentRequest
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from wallgent import ids, money
from wallgent.actors import Actor
from wallgent.api import errors, json
from wallgent.api.commands import command
from wallgent.api.idempotency import IdempotencyKey, Replayed, key_of
from wallgent.api.pagination import PageQuery
from wallgent.api.schemas import (
    Amount,
    AmountText,
    Description,
    ObjectId,
    Schema,
    TimeText,
    spelled,
)
from wallgent.api.views import ApiView, answer
from wallgent.errors import DomainError, ValidationError
from wallgent.money import ZERO, Currency

BATCH_LIMIT = 20


class MerchantHint(Schema):
    domain: Annotated[str, Field(min_length=1, max_length=253)]


class PaymentInput(Schema):
    from_wallet_id: ObjectId = spelled("from", "fromWalletId")
    to_wallet_id: ObjectId | None = spelled("to", "toWalletId", default=None)
    amount: Amount
    currency: Currency | None = None
    description: Description | None = None
    merchant_id: ObjectId | None = None
    merchant_hint: MerchantHint | None = None
    preference: Literal["cheapest", "fastest", "card_only", "closed_loop_preferred"] | None = None

    def to_request(
        self,
        *,
        actor: Actor,
        idempotency_key: str = "",
        found: dict[str, Wallet] | None = None,
    ) -> PaymentRequest:
        """Return the payment to make; `found` is as in `payments.resolve_wallets`.

        Raises ValidationError without a payee, and what `payments.resolve_wallets` raises.
        """
        if not (self.to_wallet_id or self.merchant_id or self.merchant_hint):
            raise ValidationError(
                "Say who is paid: give `to` a wallet id, or a merchantId or merchantHint.",
                fields={"to": "is required"},
            )
        sender, recipient = payments.resolve_wallets(
            self.from_wallet_id,
            self.to_wallet_id,
            actor=actor,
            merchant=self.merchant_id or (self.merchant_hint and self.merchant_hint.domain),
            found=found,
        )
        return PaymentRequest(
            sender=sender,
            recipient=recipient,
            amount=self.amount,
            currency=self.currency,
            description=self.description or "",
            idempotency_key=idempotency_key,
        )


class BatchItem(PaymentInput):
    idempotency_key: str | None = None


class BatchInput(Schema):
    payments: Annotated[list[BatchItem], Field(min_length=1, max_length=BATCH_LIMIT)]


class ReverseInput(Schema):
    reason: Description | None = None


class PaymentsQuery(PageQuery):
    wallet_id: ObjectId | None = None
    status: Payment.Status | None = None


class PaymentOutput(Schema):
    id: str
    from_wallet_id: str = spelled("from", "fromWalletId")
    to_wallet_id: str = spelled("to", "toWalletId")
    amount: AmountText
    fee: AmountText | None
    currency: str
    status: str = spelled("status", "state")
    kind: str
    rail: str
    merchant_id: str | None
    description: str | None
    idempotency_key: str | None
    failure_code: str | None
    failure_reason: str | None
    reversal_of: str | None
    reversed_by: str | None
    policy_evaluation_id: str | None
    created_at: TimeText
    settled_at: TimeText | None

    @classmethod
    def of(cls, payment: Payment, *, reversed_by: str | None = None) -> "PaymentOutput":
        return cls.model_construct(
            id=payment.id,
            from_wallet_id=payment.sender_id,
            to_wallet_id=payment.recipient_id,
            amount=payment.amount,
            fee=payment.fee,
            currency=payment.currency,
            status=payment.status,
            kind=payment.kind,
            rail="internal",
            merchant_id=None,
            description=payment.description or None,
            idempotency_key=payment.idempotency_key or None,
            failure_code=payment.failure_code or None,
            failure_reason=payment.failure_reason or None,
            reversal_of=payment.reversal_of_id,
            reversed_by=reversed_by,
            policy_evaluation_id=None,
            created_at=payment.created_at,
            settled_at=payment.settled_at,
        )

    @classmethod
    def of_stored(cls, payment: Payment, *, actor: Actor) -> "PaymentOutput":
        """Render a payment that was fetched with its reversals, as the actor may see it."""
        reversals = payment.reversals.all()
        output = cls.of(payment, reversed_by=reversals[0].id if reversals else None)
        if payment.organization_id != actor.organization.id:
            # Only the sender sees its idempotency key and the fee it paid.
            output.fee = output.idempotency_key = None
        return output


class PaymentsView(ApiView):
    permissions = {"GET": "payments:read", "POST": "payments:write"}

    def get(self, request):
        query = self.query(PaymentsQuery)
        found = payments.visible_to(request.actor)
        if query.wallet_id:
            found = found.of_wallet(wallets.access(query.wallet_id, actor=request.actor))
        if query.status:
            found = found.filter(status=query.status)
        return self.page(
            found, query, lambda paid: PaymentOutput.of_stored(paid, actor=request.actor).to_json()
        )

    @command(PaymentInput)
    def post(self, request, data):
        payment_request = data.to_request(actor=request.actor, idempotency_key=request.run.key)
        request.run.start()
        payment = payments.create(payment_request, actor=request.actor)
        return answer(PaymentOutput.of(payment), status=201)


class PaymentView(ApiView):
    permissions = {"GET": "payments:read"}

    def get(self, request, id):
        payment = payments.access(id, actor=request.actor)
        return answer(PaymentOutput.of_stored(payment, actor=request.actor))


class PaymentReverseView(ApiView):
    permissions = {"POST": "payments:write"}

    @command(ReverseInput)
    def post(self, request, data, id):
        payment = payments.access(id, actor=request.actor)
        request.run.start()
        payment = payments.reverse(payment, actor=request.actor, reason=data.reason or "")
        return answer(PaymentOutput.of_stored(payment, actor=request.actor))


class PaymentBatchView(ApiView):
    permissions = {"POST": "payments:write"}

    @command(BatchInput)
    def post(self, request, data):
        request.run.start()
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
        return answer(self._body())

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
                key.claim()
            except Replayed as replayed:
                self.results[index] = json.parse_object(replayed.answer.content) | {
                    "index": index,
                    "replayed": True,
                }
            except DomainError as error:
                refusals[index] = error
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
                "status": "success",
                "transactionId": payment.id,
                "payment": PaymentOutput.of(payment).to_json(),
            }
            if index in self.keys:
                self.keys[index].store(answer(self.results[index]))

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
            status = "reversed" if index < refused.index else "skipped"
            self.results[index] = {"index": index, "status": status, "transactionId": None}
        self.results[refused.index] |= {"status": "failed", **errors.body(refused.error)}
        error = BatchPartialFailure(index=refused.index, code=refused.error.code)
        error.extra_body = self._body()
        error.after_rollback = refused.error.after_rollback
        return error

    def _body(self) -> dict:
        paid = {r["transactionId"]: r["payment"] for r in self.results if r["status"] == "success"}
        counts = {
            name: sum(result["status"] == word for result in self.results)
            for name, word in (
                ("succeeded", "success"),
                ("failed", "failed"),
                ("reversed", "reversed"),
                ("skipped", "skipped"),
            )
        }
        total = sum((money.read(payment["amount"]) for payment in paid.values()), ZERO)
        fees = sum((money.read(payment["fee"]) for payment in paid.values()), ZERO)
        return {
            "batchId": self.id,
            "results": self.results,
            "summary": {
                "total": len(self.items),
                **counts,
                "totalAmount": money.amount_text(total),
                "totalFees": money.amount_text(fees),
            },
        }
