-- compatible: 1

-- A page that begins in the middle of an index reads what it shows. SQLite ends each entry
-- with the number of the row, which is the ID, and finds a place by that alone: an ID before
-- it is no condition, so that entries of the same time were passed over.
DROP INDEX IF EXISTS auth_tokens_created;
CREATE INDEX IF NOT EXISTS auth_tokens_created ON auth_tokens (user_id, revoked_at, created_at) WHERE revoked_at IS NULL;
DROP INDEX IF EXISTS auth_tokens_modified;
CREATE INDEX IF NOT EXISTS auth_tokens_modified ON auth_tokens (user_id, revoked_at, modified_at) WHERE revoked_at IS NULL;
DROP INDEX IF EXISTS auth_tokens_expiring;
CREATE INDEX IF NOT EXISTS auth_tokens_expiring ON auth_tokens (user_id, revoked_at, expires_at) WHERE revoked_at IS NULL;
DROP INDEX IF EXISTS auth_activities_time;
CREATE INDEX IF NOT EXISTS auth_activities_time ON auth_activities (happened_at);
DROP INDEX IF EXISTS auth_activities_subject;
CREATE INDEX IF NOT EXISTS auth_activities_subject ON auth_activities (subject, happened_at);
DROP INDEX IF EXISTS auth_activities_token;
CREATE INDEX IF NOT EXISTS auth_activities_token ON auth_activities (token_id, happened_at);
DROP INDEX IF EXISTS auth_activities_application;
CREATE INDEX IF NOT EXISTS auth_activities_application ON auth_activities (application_id, happened_at);
DROP INDEX IF EXISTS auth_activities_organization;
CREATE INDEX IF NOT EXISTS auth_activities_organization ON auth_activities (organization_id, happened_at);
