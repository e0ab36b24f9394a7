-- compatible: 1

-- The activity stream: acts of management, for people to read. The subject is whom
-- an entry concerns first; the number of its entries is limited.
CREATE TABLE auth_activities (
	id              INTEGER PRIMARY KEY AUTOINCREMENT,
	happened_at     INTEGER NOT NULL,
	operation       TEXT NOT NULL,
	object          TEXT NOT NULL,
	associated      TEXT NOT NULL,
	actor_id        TEXT NOT NULL,
	actor           TEXT NOT NULL,
	actor_token_id  INTEGER NOT NULL,
	subject         TEXT NOT NULL,
	user_id         TEXT NOT NULL,
	user_name       TEXT NOT NULL,
	token_id        INTEGER NOT NULL,
	application_id  INTEGER NOT NULL,
	application     TEXT NOT NULL,
	organization_id INTEGER NOT NULL,
	changes         TEXT NOT NULL
);

CREATE INDEX auth_activities_time ON auth_activities (happened_at, id);
CREATE INDEX auth_activities_subject ON auth_activities (subject, happened_at, id);
CREATE INDEX auth_activities_token ON auth_activities (token_id, happened_at, id);
CREATE INDEX auth_activities_application ON auth_activities (application_id, happened_at, id);
CREATE INDEX auth_activities_organization ON auth_activities (organization_id, happened_at, id);
