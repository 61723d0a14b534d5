-- Constraints and triggers. They apply to every writer, including the functions in posting.sql.

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
