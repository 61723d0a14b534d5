-- ledger_post writes transactions and the balances of wallets; ledger_roll adds waiting changes to
-- the balances of system accounts. Nothing else changes a balance. triggers.sql checks the result.

-- Posts a set of transactions in the order given: all of them or none. A later transaction can
-- spend what an earlier one credits.
--
-- outcome: POSTED; REPEATED (all were posted before, with the same entries; nothing is done);
-- or the first refusal: CLOSED, FULL, FROZEN, DEBT, NO_FUNDS, or CHANGED when an id was posted
-- before with other entries. The caller rolls back on a refusal.
--
-- Generic plans, because planning again for each array would take longer than posting.
CREATE OR REPLACE FUNCTION ledger_post(
    p_book text,
    p_ahead interval,  -- how far the payer's clock runs ahead of real time
    p_forced boolean,  -- a network took the money: post it; what is missing becomes debt
    p_ids uuid[], p_reasons text[], p_memos text[], p_reverses uuid[],  -- the transactions
    p_recipients_ahead interval[],  -- and how far the clocks of their recipients run ahead
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
    latest   timestamptz[];
    moment   timestamptz;
    -- The date of each entry, its line and the balance after it. System accounts have neither
    -- lines nor a clock: their entries are dated like the transaction.
    dates    timestamptz[];
    lines    bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_items)]);
    afters   numeric[] := array_fill(NULL::numeric, ARRAY[cardinality(p_items)]);
    w        int;
BEGIN
    -- In id order, and before any insert that references them: with the foreign keys' shared
    -- locks first, a hot wallet loses two thirds of its speed.
    SELECT array_agg(a.id), array_agg(a.state), array_agg(a.balance), array_agg(a.held),
           array_agg(a.debt), array_agg(a.lines), array_agg(a.last_entry_at)
      INTO ids, states, balances, helds, debts, pages, latest
      FROM (SELECT * FROM ledger_account l
             WHERE l.id = ANY (p_accounts) AND NOT l.is_system
             ORDER BY l.id FOR NO KEY UPDATE) a;

    -- The time is read under the locks, so that it grows with an account's line numbers.
    moment := clock_timestamp();
    dates := array_fill(moment + p_ahead, ARRAY[cardinality(p_items)]);
    INSERT INTO ledger_transaction (id, book, reason, memo, reverses_id, created_at)
      SELECT t.id, p_book, t.reason, t.memo, t.reverses, moment + p_ahead
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
        IF p_types[i] = 'CREDIT' THEN
            dates[i] := moment + coalesce(p_recipients_ahead[p_items[i]], p_ahead);
        END IF;
        -- The caller read the clock before the lock, so an advance since then may have dated later
        -- lines already. Dates never decrease, so a period is a range of lines.
        latest[w] := greatest(latest[w], dates[i]);
        dates[i] := latest[w];
        lines[i] := pages[w];
        afters[i] := balances[w];
    END LOOP;

    -- One statement for all three tables: starting a statement costs as much as writing its rows.
    WITH written AS (
        INSERT INTO ledger_entry
            (id, transaction_id, account_id, book, type, amount, currency, created_at, line,
             balance_after)
        SELECT uuidv7(), p_ids[e.item], e.account, p_book, e.type, e.amount, e.currency, e.date,
               e.line, e.after
          FROM unnest(p_items, p_accounts, p_types, p_amounts, p_currencies, dates, lines, afters)
               AS e (item, account, type, amount, currency, date, line, after)
        RETURNING account_id, type, ledger_entry.amount, line
    ), moved AS (
        UPDATE ledger_account a
           SET balance = balances[array_position(ids, a.id)],
               debt = debts[array_position(ids, a.id)],
               lines = pages[array_position(ids, a.id)],
               last_entry_at = latest[array_position(ids, a.id)]
         WHERE a.id = ANY (ids)
    )
    INSERT INTO ledger_unrolled (account_id, net_debit)
      SELECT account_id, CASE type WHEN 'DEBIT' THEN amount ELSE -amount END
        FROM written WHERE line IS NULL;
    outcome := 'POSTED';
END $$;

-- Whether the transactions are in the ledger with exactly these entries.
CREATE OR REPLACE FUNCTION ledger_stands(
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

-- The last line of a wallet's account dated up to and including an instant; 0 if there is none.
-- A binary search with the index (account, line), because dates never decrease from line to line:
-- twenty lookups in a million lines, and no further index for each payment to write.
CREATE OR REPLACE FUNCTION ledger_last_line(p_account uuid, p_instant timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    low    bigint := 0;
    high   bigint := (SELECT lines FROM ledger_account WHERE id = p_account);
    middle bigint;
BEGIN
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        IF (SELECT created_at <= p_instant FROM ledger_entry
             WHERE account_id = p_account AND line = middle) THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- Adds up to p_limit waiting changes to their accounts' balances. Returns how many.
CREATE OR REPLACE FUNCTION ledger_roll(p_limit int) RETURNS int LANGUAGE plpgsql AS $$
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
