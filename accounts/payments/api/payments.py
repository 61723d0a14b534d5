"""Payments (contract 3.2)."""

import uuid
from typing import Annotated, Literal

from pydantic import Field

from accounts.errors import BatchPartialFailure
from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.payments.services.payments import ItemRefused, PaymentRequest
from accounts.wallets import services as wallets
from wallgent import ids, money
from wallgent.actors import Actor
from wallgent.api import errors, json
from wallgent.api.commands import command
from wallgent.api.idempotency import Claim, Replayed, key_of
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

    def order(self, idempotency_key: str = "") -> PaymentRequest:
        """What is asked for, in the service's words. Raises ValidationError without a payee."""
        if not (self.to_wallet_id or self.merchant_id or self.merchant_hint):
            raise ValidationError(
                "Say who is paid: give `to` a wallet id, or a merchantId or merchantHint.",
                fields={"to": "is required"},
            )
        return PaymentRequest(
            sender_id=self.from_wallet_id,
            recipient_id=self.to_wallet_id,
            amount=self.amount,
            currency=self.currency,
            description=self.description or "",
            idempotency_key=idempotency_key,
            merchant_id=self.merchant_id,
            merchant_domain=self.merchant_hint.domain if self.merchant_hint else None,
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
        """For a payment that was fetched with its reversals, as the actor may see it."""
        reversals = payment.reversals.all()
        output = cls.of(payment, reversed_by=reversals[0].id if reversals else None)
        if payment.organization_id != actor.organization.id:
            # The sender's key and what it paid us for the payment are its own affair.
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
        order = data.order(request.run.key)
        parties = payments.parties(order, actor=request.actor)
        request.run.start()
        payment = payments.create(parties, actor=request.actor)
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
    """One call of the batch endpoint: every item paid, or none, and a result for each."""

    def __init__(self, actor, items: list[BatchItem]):
        self.actor = actor
        self.items = items
        self.id = ids.new("bat")
        self.results: list[dict | None] = [None] * len(items)
        self.claims: dict[int, Claim] = {}
        self.twins: dict[int, int] = {}  # an item, and the one before it that it repeats

    def run(self):
        """Pay. Raises BatchPartialFailure with the results."""
        try:
            parties = self._parties()
            self._claim_keys()
            fresh = [
                index
                for index, result in enumerate(self.results)
                if result is None and index not in self.twins
            ]
            self._pay(fresh, [parties[index] for index in fresh])
        except ItemRefused as refused:
            raise self._failure(refused) from None
        self._repeat()
        return answer(self._body())

    def _parties(self):
        wanted = [id for i in self.items for id in (i.from_wallet_id, i.to_wallet_id) if id]
        found = wallets.find_parties(wanted)
        parties = []
        for index, item in enumerate(self.items):
            try:
                key = key_of(None, {"idempotencyKey": item.idempotency_key})
                order = item.order(key or "")
                parties.append(payments.parties(order, actor=self.actor, found=found))
            except DomainError as error:
                raise ItemRefused(index, error) from None
        return parties

    def _claim_keys(self) -> None:
        """Take the items' own keys; an item that was paid before keeps that result."""
        for index, item in enumerate(self.items):
            if item.idempotency_key:
                self.claims[index] = Claim(
                    actor=self.actor,
                    key=item.idempotency_key,
                    method="POST",
                    path="/v1/payments/batch#item",
                    content=item.model_dump_json(),
                )
        first: dict[uuid.UUID, int] = {}
        refusals: dict[int, DomainError] = {}
        # In one order for everyone, so that two batches never wait for each other.
        for index, claim in sorted(self.claims.items(), key=lambda pair: pair[1].id):
            twin = first.setdefault(claim.id, index)
            if twin != index and self.claims[twin].body_hash == claim.body_hash:
                self.twins[index] = twin
                continue
            try:
                claim.take()
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

    def _pay(self, indexes: list[int], parties: list) -> None:
        if not indexes:
            return
        try:
            paid = payments.create_batch(parties, actor=self.actor)
        except ItemRefused as refused:
            raise ItemRefused(indexes[refused.index], refused.error) from None
        for index, payment in zip(indexes, paid, strict=True):
            self.results[index] = {
                "index": index,
                "status": "success",
                "transactionId": payment.id,
                "payment": PaymentOutput.of(payment).to_json(),
            }
            if index in self.claims:
                self.claims[index].keep(answer(self.results[index]))

    def _repeat(self) -> None:
        for index, twin in self.twins.items():
            if result := self.results[twin]:
                self.results[index] = result | {"index": index, "replayed": True}

    def _failure(self, refused: ItemRefused) -> BatchPartialFailure:
        self._repeat()
        for index, paid_before in enumerate(self.results):
            if paid_before:
                continue  # by another batch, whose payment stands
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
