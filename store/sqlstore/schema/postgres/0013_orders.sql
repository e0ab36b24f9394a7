-- compatible: 1

-- A page that begins in the middle of an index reads what it shows. PostgreSQL finds such
-- a place by equal values of all columns before it, and the condition of a partial index is
-- none on a column: without revoked_at nothing stands between. Programs from before this
-- step sort the tokens of a list until they are replaced. The old indexes go at the end,
-- because that locks out those who read.
CREATE INDEX IF NOT EXISTS auth_tokens_new_listed ON auth_tokens (user_id, id, seq, application_id, via_id) WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS auth_tokens_new_created ON auth_tokens (user_id, created_at, id) WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS auth_tokens_new_modified ON auth_tokens (user_id, modified_at, id) WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS auth_tokens_new_expiring ON auth_tokens (user_id, expires_at, id) WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS auth_tokens_new_issued ON auth_tokens (application_id, id, seq, user_id, via_id) WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS auth_tokens_new_every ON auth_tokens (id, seq, user_id, application_id, via_id) WHERE revoked_at IS NULL;

-- Orders of the lists of users and applications.
CREATE INDEX IF NOT EXISTS auth_users_created ON auth_users (created_at, id_number, id);
CREATE INDEX IF NOT EXISTS auth_applications_name ON auth_applications (name, id);
CREATE INDEX IF NOT EXISTS auth_applications_created ON auth_applications (created_at, id);
CREATE INDEX IF NOT EXISTS auth_applications_modified ON auth_applications (modified_at, id);

DROP INDEX IF EXISTS auth_tokens_listed;
DROP INDEX IF EXISTS auth_tokens_created;
DROP INDEX IF EXISTS auth_tokens_modified;
DROP INDEX IF EXISTS auth_tokens_expiring;
DROP INDEX IF EXISTS auth_tokens_issued;
DROP INDEX IF EXISTS auth_tokens_every;
ALTER INDEX auth_tokens_new_listed RENAME TO auth_tokens_listed;
ALTER INDEX auth_tokens_new_created RENAME TO auth_tokens_created;
ALTER INDEX auth_tokens_new_modified RENAME TO auth_tokens_modified;
ALTER INDEX auth_tokens_new_expiring RENAME TO auth_tokens_expiring;
ALTER INDEX auth_tokens_new_issued RENAME TO auth_tokens_issued;
ALTER INDEX auth_tokens_new_every RENAME TO auth_tokens_every;
