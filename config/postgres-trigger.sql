-- Tells Freshgate which rows of a table have changed, whoever has changed them: a trigger that notifies a channel.
--
-- Install it in the database whose tables are watched (PostgreSQL 13 or newer). It may be run again at any time.
--
--     psql -d reference -f postgres-trigger.sql
--     psql -d reference -c "SELECT freshgate_watch('codes', 'codes_changed', 'code')"
--
-- From then on each INSERT, UPDATE and DELETE notifies the channel `codes_changed` of the row's `code`, at its commit and not before. An UPDATE
-- that changes the code itself notifies of both, the old one and the new one; one that changes nothing notifies of nothing.
--
-- With a type the payload is a CloudEvent in JSON, whose subject is the key; columns that are named after it are its data:
--
--     SELECT freshgate_watch('codes', 'codes_changed', 'code', 'nz.example.codes.updated', 'region', 'year');
--
-- An empty payload says that something has changed, but not what. Freshgate then invalidates everything that the rules of this source's
-- channels could name. It is sent for
--   * TRUNCATE,
--   * a key that is NULL, or a column that isn't there,
--   * a payload that is longer than PostgreSQL lets through (7999 bytes),
--   * what a transaction changes beyond a thousand rows, so that one UPDATE of a million rows doesn't fill the queue of notifications.
--
-- What isn't seen: changes of other tables that a view joins (watch those as well), TRUNCATE and DETACH of a single partition of a watched table, changes that replication applies (ALTER TABLE … ENABLE
-- ALWAYS TRIGGER freshgate_rows sees those too), and what is done while triggers are disabled.
--
-- To have it gone: SELECT freshgate_unwatch('codes').

BEGIN;

CREATE OR REPLACE FUNCTION freshgate_notify() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    -- Arguments of the trigger: channel, key column, and of an event its type and the columns that are its data.
    channel text := TG_ARGV[0];
    longest CONSTANT integer := 7999;
    most CONSTANT integer := 1000;
    told integer;
    rows jsonb[] := '{}';
    this jsonb;
    payload text;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify(channel, '');
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD::text = NEW::text THEN
        RETURN NULL;
    END IF;

    -- A transaction's own count; it is gone with the transaction.
    told := coalesce(nullif(current_setting('freshgate.told', true), '')::integer, 0) + 1;
    PERFORM set_config('freshgate.told', told::text, true);
    IF told > most THEN
        PERFORM pg_notify(channel, '');
        RETURN NULL;
    END IF;

    IF TG_OP <> 'INSERT' THEN
        rows := array_append(rows, to_jsonb(OLD));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        rows := array_append(rows, to_jsonb(NEW));
    END IF;
    FOREACH this IN ARRAY rows LOOP
        payload := coalesce(this ->> TG_ARGV[1], '');
        IF payload <> '' AND TG_NARGS > 2 THEN
            payload := jsonb_build_object(
                'specversion', '1.0',
                'id', gen_random_uuid(),
                'source', '/' || current_database() || '/' || TG_TABLE_SCHEMA || '/' || TG_TABLE_NAME,
                'type', TG_ARGV[2],
                'subject', payload,
                'time', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                'datacontenttype', 'application/json',
                'data', (
                    SELECT coalesce(jsonb_object_agg(TG_ARGV[n], this -> TG_ARGV[n]), '{}')
                    FROM generate_series(3, TG_NARGS - 1) AS n
                )
            )::text;
        END IF;
        -- The same key twice in a transaction is sent once by PostgreSQL itself.
        PERFORM pg_notify(channel, CASE WHEN octet_length(payload) > longest THEN '' ELSE payload END);
    END LOOP;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION freshgate_unwatch(watched regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL client_min_messages = warning; -- that there is none yet is no news
    EXECUTE format('DROP TRIGGER IF EXISTS freshgate_rows ON %s', watched);
    EXECUTE format('DROP TRIGGER IF EXISTS freshgate_truncate ON %s', watched);
END
$$;

CREATE OR REPLACE FUNCTION freshgate_watch(watched regclass, channel text, VARIADIC key_type_and_data text[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    arguments text;
BEGIN
    -- Freshgate listens by this very name; a longer one would be cut off there and refused here.
    IF octet_length(channel) NOT BETWEEN 1 AND 63 THEN
        RAISE EXCEPTION 'a channel has 1 to 63 bytes, this one %', octet_length(channel);
    END IF;
    SELECT string_agg(quote_literal(argument), ', ') INTO arguments
    FROM unnest(array_prepend(channel, key_type_and_data)) AS argument;
    PERFORM freshgate_unwatch(watched);
    EXECUTE format(
        'CREATE TRIGGER freshgate_rows AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION freshgate_notify(%s)',
        watched, arguments
    );
    EXECUTE format(
        'CREATE TRIGGER freshgate_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION freshgate_notify(%s)',
        watched, arguments
    );
END
$$;

COMMIT;
