-- compatible: 1

-- The activity stream: acts of management, for people to read. The subject is whom
-- an entry concerns first; the number of its entries is limited.
CREATE TABLE auth_activities (
	id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	happened_at     BIGINT NOT NULL,
	operation       TEXT COLLATE "C" NOT NULL,
	object          TEXT COLLATE "C" NOT NULL,
	associated      TEXT COLLATE "C" NOT NULL,
	actor_id        TEXT COLLATE "C" NOT NULL,
	actor           TEXT COLLATE "C" NOT NULL,
	actor_token_id  BIGINT NOT NULL,
	subject         TEXT COLLATE "C" NOT NULL,
	user_id         TEXT COLLATE "C" NOT NULL,
	user_name       TEXT COLLATE "C" NOT NULL,
	token_id        BIGINT NOT NULL,
	application_id  BIGINT NOT NULL,
	application     TEXT COLLATE "C" NOT NULL,
	organization_id BIGINT NOT NULL,
	changes         TEXT COLLATE "C" NOT NULL
);

CREATE INDEX auth_activities_time ON auth_activities (happened_at, id);
CREATE INDEX auth_activities_subject ON auth_activities (subject, happened_at, id);
CREATE INDEX auth_activities_token ON auth_activities (token_id, happened_at, id);
CREATE INDEX auth_activities_application ON auth_activities (application_id, happened_at, id);
CREATE INDEX auth_activities_organization ON auth_activities (organization_id, happened_at, id);
