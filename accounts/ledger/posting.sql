-- The two ways money moves: ledger_post writes transactions and is the only writer of balances;
-- ledger_roll adds what system accounts have gathered. The triggers below prove them right.

CREATE TYPE ledger_line AS (
    item          int,      -- which transaction of the set, from 1
    account_id    uuid,
    type          text,     -- DEBIT or CREDIT
    amount        numeric,
    delta         numeric,  -- signed, on the account's normal side
    is_system     boolean,
    book          text,
    state         text,
    debt          numeric,
    line          bigint,   -- its number on the account's page; NULL on system accounts
    balance_after numeric,
    available     numeric   -- what the account could spend before this line
);

-- Posts a set of transactions, each a group of moves, in the order given: all of them or none.
-- A move debits one account and credits another, so whatever is posted balances.
-- Money that an earlier transaction of the set brings can be spent by a later one.
--
-- outcome: POSTED; REPEATED (all were posted before, with the same moves; nothing is done);
-- or the first refusal: UNKNOWN, OTHER_BOOK, CLOSED, FROZEN, DEBT, NO_FUNDS, or CHANGED when an id
-- was posted before with other moves. The caller rolls back on a refusal.
CREATE FUNCTION ledger_post(
    p_book text,
    p_ahead interval,       -- how far the payer's clock runs ahead of real time
    p_forced boolean,       -- a network took the money: post it, and owe what is missing
    p_ids uuid[], p_reasons text[], p_memos text[], p_reverses uuid[],
    p_items int[], p_debits uuid[], p_credits uuid[], p_amounts numeric[],  -- the moves
    OUT outcome text, OUT item int, OUT account_id uuid, OUT available numeric, OUT needed numeric
) LANGUAGE plpgsql AS $$
DECLARE
    lines ledger_line[];
    l     ledger_line;
    fresh int;
BEGIN
    -- Wallets are locked in id order, and before any insert that references them: with the
    -- foreign keys' shared locks first, a hot wallet loses two thirds of its speed.
    PERFORM 1 FROM ledger_account a
      WHERE a.id = ANY (p_debits || p_credits) AND NOT a.is_system
      ORDER BY a.id FOR NO KEY UPDATE;

    INSERT INTO ledger_transaction (id, book, reason, memo, reverses_id, created_at)
      SELECT t.id, p_book, t.reason, t.memo, t.reverses, clock_timestamp() + p_ahead
        FROM unnest(p_ids, p_reasons, p_memos, p_reverses) AS t (id, reason, memo, reverses)
      ON CONFLICT (id) DO NOTHING;
    GET DIAGNOSTICS fresh = ROW_COUNT;
    IF fresh < cardinality(p_ids) THEN
        outcome := CASE
            WHEN fresh = 0 AND ledger_same_moves(p_ids, p_items, p_debits, p_credits, p_amounts)
            THEN 'REPEATED' ELSE 'CHANGED' END;
        RETURN;
    END IF;

    SELECT array_agg(
        (s.item, s.account_id, s.type, s.amount, s.delta, s.is_system, s.book, s.state, s.debt,
         CASE WHEN NOT s.is_system THEN s.lines + s.nth END,
         CASE WHEN NOT s.is_system THEN s.balance + s.total END,
         s.balance + s.total - s.delta - s.held)::ledger_line ORDER BY s.item, s.account_id, s.type)
      INTO lines
      FROM (
        SELECT m.item, m.account_id, m.type, m.amount, d.delta, a.is_system, a.book, a.state,
               a.debt, a.lines, a.balance, a.held,
               row_number() OVER page AS nth, sum(d.delta) OVER page AS total
          FROM ledger_sides(p_items, p_debits, p_credits, p_amounts) m
          LEFT JOIN ledger_account a ON a.id = m.account_id,
          LATERAL (SELECT CASE WHEN (m.type = 'DEBIT') = (a.type IN ('ASSET', 'EXPENSE'))
                               THEN m.amount ELSE -m.amount END) AS d (delta)
        WINDOW page AS (PARTITION BY m.account_id ORDER BY m.item, m.type
                        ROWS UNBOUNDED PRECEDING)
      ) s;

    FOREACH l IN ARRAY lines LOOP
        outcome := CASE
            WHEN l.book IS NULL THEN 'UNKNOWN'
            WHEN l.book <> p_book THEN 'OTHER_BOOK'
            WHEN l.state = 'CLOSED' THEN 'CLOSED'
            WHEN l.is_system OR l.delta > 0 OR p_forced THEN NULL
            WHEN l.state = 'FROZEN' THEN 'FROZEN'
            WHEN l.debt > 0 THEN 'DEBT'
            WHEN l.available + l.delta < 0 THEN 'NO_FUNDS' END;
        IF outcome IS NOT NULL THEN
            item := l.item;
            account_id := l.account_id;
            available := l.available;
            needed := l.amount;
            RETURN;
        END IF;
    END LOOP;

    INSERT INTO ledger_entry (id, transaction_id, account_id, type, amount, line, balance_after)
      SELECT uuidv7(), p_ids[e.item], e.account_id, e.type, e.amount, e.line, e.balance_after
        FROM unnest(lines) e;

    UPDATE ledger_account a
       SET balance = a.balance + s.delta,
           lines = a.lines + s.lines,
           -- Every credit pays debt first; only a forced posting may raise it.
           debt = greatest(0, a.debt - s.credited,
                           CASE WHEN p_forced THEN a.held - a.balance - s.delta END)
      FROM (SELECT e.account_id, sum(e.delta) AS delta, count(*) AS lines,
                   sum(greatest(e.delta, 0)) AS credited
              FROM unnest(lines) e WHERE NOT e.is_system GROUP BY e.account_id) s
     WHERE a.id = s.account_id;

    INSERT INTO ledger_unrolled (account_id, amount)
      SELECT e.account_id, sum(e.delta) FROM unnest(lines) e WHERE e.is_system
       GROUP BY e.account_id;
    outcome := 'POSTED';
END $$;

-- The entries that a list of moves comes to: one for each transaction, account and side.
CREATE FUNCTION ledger_sides(p_items int[], p_debits uuid[], p_credits uuid[], p_amounts numeric[])
RETURNS TABLE (item int, account_id uuid, type text, amount numeric) LANGUAGE sql IMMUTABLE AS $$
    SELECT m.item, s.account_id, s.type, sum(m.amount)
      FROM unnest(p_items, p_debits, p_credits, p_amounts) AS m (item, debit, credit, amount),
           LATERAL (VALUES (m.debit, 'DEBIT'), (m.credit, 'CREDIT')) AS s (account_id, type)
     GROUP BY m.item, s.account_id, s.type
$$;

-- Whether the transactions stand in the book with just these entries.
CREATE FUNCTION ledger_same_moves(
    p_ids uuid[], p_items int[], p_debits uuid[], p_credits uuid[], p_amounts numeric[]
) RETURNS boolean LANGUAGE sql STABLE AS $$
    WITH asked AS (
        SELECT p_ids[m.item] AS transaction_id, m.account_id, m.type, m.amount
          FROM ledger_sides(p_items, p_debits, p_credits, p_amounts) m
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
    WITH gone AS (
        DELETE FROM ledger_unrolled WHERE id IN (
            SELECT id FROM ledger_unrolled ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED)
        RETURNING account_id, amount
    ), sums AS (
        SELECT account_id, sum(amount) AS amount, count(*) AS n FROM gone GROUP BY account_id
    ), ordered AS (
        -- In id order, as everyone: two rollers must not wait for each other.
        SELECT a.id FROM ledger_account a JOIN sums ON sums.account_id = a.id
         ORDER BY a.id FOR NO KEY UPDATE OF a
    ), moved AS (
        UPDATE ledger_account a SET balance = a.balance + sums.amount
          FROM sums, ordered WHERE a.id = sums.account_id AND ordered.id = a.id
        RETURNING sums.n
    )
    SELECT coalesce(sum(n), 0) INTO rolled FROM moved;
    RETURN rolled;
END $$;

-- Proofs. They hold whoever writes, this file's functions included.

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

-- All entries of a transaction come in one statement, balance in every currency and stay in its
-- book. Checked once a statement: per row it would cost as much as the posting itself.
CREATE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad record;
BEGIN
    SELECT f.transaction_id, sum(f.net) AS net, bool_and(f.same_book) AS same_book,
           sum(f.n) AS n INTO bad
      FROM (
        SELECT e.transaction_id, a.currency, bool_and(a.book = t.book) AS same_book, count(*) AS n,
               sum(CASE e.type WHEN 'DEBIT' THEN e.amount ELSE -e.amount END) AS net
          FROM fresh e
          JOIN ledger_account a ON a.id = e.account_id
          JOIN ledger_transaction t ON t.id = e.transaction_id
         GROUP BY e.transaction_id, a.currency
      ) f
     GROUP BY f.transaction_id
    HAVING bool_or(f.net <> 0) OR NOT bool_and(f.same_book) OR sum(f.n) <>
           (SELECT count(*) FROM ledger_entry e WHERE e.transaction_id = f.transaction_id)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % does not balance in one statement and one book', bad.transaction_id
            USING ERRCODE = 'integrity_constraint_violation',
                  CONSTRAINT = 'ledger_transaction_balances';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_balance();

CREATE FUNCTION ledger_transaction_has_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM ledger_entry WHERE transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'transaction % has no entries', NEW.id
            USING ERRCODE = 'integrity_constraint_violation',
                  CONSTRAINT = 'ledger_transaction_has_entries';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER ledger_transaction_has_entries AFTER INSERT ON ledger_transaction
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ledger_transaction_has_entries();
