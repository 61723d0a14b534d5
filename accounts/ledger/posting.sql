-- ledger_post writes transactions and the balances of wallets; ledger_roll adds waiting changes to
-- the balances of system accounts. Nothing else changes a balance. The triggers check the result.

-- Posts a set of transactions in the order given: all of them or none. A later transaction can
-- spend what an earlier one credits.
--
-- outcome: POSTED; REPEATED (all were posted before, with the same entries; nothing is done);
-- or the first refusal: CLOSED, FULL, FROZEN, DEBT, NO_FUNDS, or CHANGED when an id was posted
-- before with other entries. The caller rolls back on a refusal.
--
-- Generic plans, because planning again for each array would take longer than posting.
CREATE FUNCTION ledger_post(
    p_book text,
    p_ahead interval,  -- how far the payer's clock runs ahead of real time
    p_forced boolean,  -- a network took the money: post it; what is missing becomes debt
    p_ids uuid[], p_reasons text[], p_memos text[], p_reverses uuid[],  -- the transactions
    p_items int[], p_accounts uuid[], p_types text[], p_amounts numeric[],  -- their entries
    p_currencies text[],
    OUT outcome text, OUT item int, OUT account uuid, OUT available numeric, OUT needed numeric
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ceiling  CONSTANT numeric := 1000000000000;  -- a wallet holds less: wallgent.money.CEILING
    -- The accounts of wallets, locked. All others are system accounts.
    ids      uuid[];
    states   text[];
    balances numeric[];
    helds    numeric[];
    debts    numeric[];
    pages    bigint[];
    -- The line and the balance after it of each entry; NULL for system accounts.
    lines    bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_items)]);
    afters   numeric[] := array_fill(NULL::numeric, ARRAY[cardinality(p_items)]);
    w        int;
BEGIN
    -- In id order, and before any insert that references them: with the foreign keys' shared
    -- locks first, a hot wallet loses two thirds of its speed.
    SELECT array_agg(a.id), array_agg(a.state), array_agg(a.balance), array_agg(a.held),
           array_agg(a.debt), array_agg(a.lines)
      INTO ids, states, balances, helds, debts, pages
      FROM (SELECT * FROM ledger_account l
             WHERE l.id = ANY (p_accounts) AND NOT l.is_system
             ORDER BY l.id FOR NO KEY UPDATE) a;

    -- The time is read under the locks, so that it only grows with an account's line numbers.
    INSERT INTO ledger_transaction (id, book, reason, memo, reverses_id, created_at)
      SELECT t.id, p_book, t.reason, t.memo, t.reverses, clock_timestamp() + p_ahead
        FROM unnest(p_ids, p_reasons, p_memos, p_reverses) AS t (id, reason, memo, reverses)
      ON CONFLICT (id) DO NOTHING;
    GET DIAGNOSTICS w = ROW_COUNT;
    IF w < cardinality(p_ids) THEN
        outcome := CASE
            WHEN w = 0 AND ledger_stands(p_ids, p_items, p_accounts, p_types, p_amounts)
            THEN 'REPEATED' ELSE 'CHANGED' END;
        RETURN;
    END IF;

    FOR i IN 1 .. cardinality(p_items) LOOP
        w := array_position(ids, p_accounts[i]);
        CONTINUE WHEN w IS NULL;
        IF states[w] = 'CLOSED' THEN
            outcome := 'CLOSED';
        ELSIF p_types[i] = 'CREDIT' THEN
            balances[w] := balances[w] + p_amounts[i];
            debts[w] := greatest(debts[w] - p_amounts[i], 0);  -- every credit pays debt first
            IF balances[w] >= ceiling THEN
                outcome := 'FULL';
            END IF;
        ELSIF p_forced THEN
            balances[w] := balances[w] - p_amounts[i];
            debts[w] := greatest(debts[w], helds[w] - balances[w]);
        ELSIF states[w] = 'FROZEN' THEN
            outcome := 'FROZEN';
        ELSIF debts[w] > 0 THEN
            outcome := 'DEBT';
        ELSIF balances[w] - helds[w] < p_amounts[i] THEN
            outcome := 'NO_FUNDS';
        ELSE
            balances[w] := balances[w] - p_amounts[i];
        END IF;
        IF outcome IS NOT NULL THEN
            item := p_items[i];
            account := p_accounts[i];
            available := balances[w] - helds[w];
            needed := p_amounts[i];
            RETURN;
        END IF;
        pages[w] := pages[w] + 1;
        lines[i] := pages[w];
        afters[i] := balances[w];
    END LOOP;

    -- One statement for all three tables: starting a statement costs as much as writing its rows.
    WITH written AS (
        INSERT INTO ledger_entry
            (id, transaction_id, account_id, book, type, amount, currency, line, balance_after)
        SELECT uuidv7(), p_ids[e.item], e.account, p_book, e.type, e.amount, e.currency, e.line,
               e.after
          FROM unnest(p_items, p_accounts, p_types, p_amounts, p_currencies, lines, afters)
               AS e (item, account, type, amount, currency, line, after)
        RETURNING account_id, type, ledger_entry.amount, line
    ), moved AS (
        UPDATE ledger_account a
           SET balance = balances[array_position(ids, a.id)],
               debt = debts[array_position(ids, a.id)],
               lines = pages[array_position(ids, a.id)]
         WHERE a.id = ANY (ids)
    )
    INSERT INTO ledger_unrolled (account_id, net_debit)
      SELECT account_id, CASE type WHEN 'DEBIT' THEN amount ELSE -amount END
        FROM written WHERE line IS NULL;
    outcome := 'POSTED';
END $$;

-- Whether the transactions are in the ledger with exactly these entries.
CREATE FUNCTION ledger_stands(
    p_ids uuid[], p_items int[], p_accounts uuid[], p_types text[], p_amounts numeric[]
) RETURNS boolean LANGUAGE sql STABLE AS $$
    WITH asked AS (
        SELECT p_ids[e.item] AS transaction_id, e.account, e.type, e.amount
          FROM unnest(p_items, p_accounts, p_types, p_amounts) AS e (item, account, type, amount)
    ), booked AS (
        SELECT e.transaction_id, e.account_id, e.type::text, e.amount
          FROM ledger_entry e WHERE e.transaction_id = ANY (p_ids)
    )
    SELECT NOT EXISTS ((TABLE asked EXCEPT TABLE booked) UNION ALL
                       (TABLE booked EXCEPT TABLE asked))
$$;

-- Adds up to p_limit waiting changes to their accounts' balances. Returns how many.
CREATE FUNCTION ledger_roll(p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    rolled int;
BEGIN
    WITH due AS MATERIALIZED (
        -- Materialized, because a plan that runs it again would lock, and take, the next ones.
        SELECT id FROM ledger_unrolled ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM ledger_unrolled WHERE id IN (SELECT id FROM due)
        RETURNING account_id, net_debit
    ), sums AS (
        SELECT account_id, sum(net_debit) AS net_debit, count(*) AS n FROM gone GROUP BY account_id
    ), ordered AS (
        -- In id order, as everywhere: two roll-ups must not wait for each other.
        SELECT a.id FROM ledger_account a JOIN sums ON sums.account_id = a.id
         ORDER BY a.id FOR NO KEY UPDATE OF a
    ), moved AS (
        UPDATE ledger_account a
           SET balance = a.balance + CASE WHEN a.type IN ('ASSET', 'EXPENSE')
                                          THEN sums.net_debit ELSE -sums.net_debit END
          FROM sums, ordered WHERE a.id = sums.account_id AND ordered.id = a.id
        RETURNING sums.n
    )
    SELECT coalesce(sum(n), 0) INTO rolled FROM moved;
    RETURN rolled;
END $$;

-- Constraints and triggers. They apply to every writer, including the functions above.

-- An entry has the currency and the book of its account.
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_account_in_its_book
    FOREIGN KEY (account_id, currency, book) REFERENCES ledger_account (id, currency, book);

-- The identity of an account never changes, and a closed account is empty. (Postings change none
-- of these columns, so they do not fire this trigger.)
CREATE FUNCTION ledger_account_identity() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    types CONSTANT jsonb := '{"WALLET": "LIABILITY", "TREASURY": "ASSET", "IN_TRANSIT": "ASSET",
        "FEES": "REVENUE", "EXPENSES": "EXPENSE", "SUSPENSE": "LIABILITY", "EXCHANGE": "ASSET"}';
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.id, OLD.book, OLD.kind, OLD.type, OLD.is_system, OLD.rail,
                             OLD.currency, OLD.owner)
       IS DISTINCT FROM (NEW.id, NEW.book, NEW.kind, NEW.type, NEW.is_system, NEW.rail,
                         NEW.currency, NEW.owner) THEN
        RAISE EXCEPTION 'account % stays what it is', OLD.id
            USING ERRCODE = 'integrity_constraint_violation',
                  CONSTRAINT = 'ledger_account_identity';
    ELSIF NEW.book NOT IN ('SANDBOX', 'PRODUCTION')
          OR NEW.type IS DISTINCT FROM types ->> NEW.kind
          OR NEW.is_system <> (NEW.kind <> 'WALLET')
          OR NEW.is_system AND NEW.state <> 'ACTIVE' THEN
        RAISE EXCEPTION 'an account of kind % is not like this', NEW.kind
            USING ERRCODE = 'integrity_constraint_violation',
                  CONSTRAINT = 'ledger_account_identity';
    ELSIF NEW.state = 'CLOSED' AND (NEW.balance, NEW.held, NEW.debt) <> (0, 0, 0) THEN
        RAISE EXCEPTION 'account % is not empty, so it cannot be closed', NEW.id
            USING ERRCODE = 'integrity_constraint_violation',
                  CONSTRAINT = 'ledger_closed_account_is_empty';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER ledger_account_identity
    BEFORE INSERT OR UPDATE OF id, book, kind, type, is_system, rail, currency, owner, state
    ON ledger_account FOR EACH ROW EXECUTE FUNCTION ledger_account_identity();

CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: correct it with a new row', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER ledger_entry_immutable BEFORE UPDATE OR DELETE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_transaction_immutable BEFORE UPDATE OR DELETE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_hold_operation_immutable BEFORE UPDATE OR DELETE ON ledger_holdoperation
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- All entries of a transaction are inserted in one statement and balance in every currency.
-- Checked once per statement: per row it would cost as much as the posting itself.
CREATE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad uuid;
BEGIN
    SELECT f.transaction_id INTO bad
      FROM (SELECT e.transaction_id, e.currency, count(*) AS n,
                   sum(CASE e.type WHEN 'DEBIT' THEN e.amount ELSE -e.amount END) AS net
              FROM fresh e GROUP BY e.transaction_id, e.currency) f
     GROUP BY f.transaction_id
    HAVING bool_or(f.net <> 0) OR sum(f.n) <>
           (SELECT count(*) FROM ledger_entry e WHERE e.transaction_id = f.transaction_id)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the entries of transaction % do not balance in one statement', bad
            USING ERRCODE = 'integrity_constraint_violation',
                  CONSTRAINT = 'ledger_transaction_balances';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_balance();

-- At commit, a ledger transaction has entries, all of its own book.
CREATE FUNCTION ledger_transaction_has_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT bool_and(e.book = NEW.book) FROM ledger_entry e
         WHERE e.transaction_id = NEW.id) IS NOT TRUE THEN
        RAISE EXCEPTION 'transaction % has no entries, or some of the other book', NEW.id
            USING ERRCODE = 'integrity_constraint_violation',
                  CONSTRAINT = 'ledger_transaction_has_entries';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER ledger_transaction_has_entries AFTER INSERT ON ledger_transaction
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ledger_transaction_has_entries();
