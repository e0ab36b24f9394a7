-- compatible: 1

-- What a token was minted by, and cut-offs: revocations that every read sees
-- before the records are marked.

-- The oldest version whose programs go on beside this one.
ALTER TABLE auth_schema ADD COLUMN compatible INTEGER NOT NULL DEFAULT 0;

INSERT INTO auth_counters (name, last_id) VALUES ('cutoffs', 0);

-- Everything issued before ends: that of a user, through an application, minted
-- by a family. '' and 0 are any.
CREATE TABLE auth_cutoffs (
	user_id        TEXT NOT NULL,
	application_id INTEGER NOT NULL,
	family         INTEGER NOT NULL,
	seq            INTEGER NOT NULL,
	cut_at         INTEGER NOT NULL,
	root_id        INTEGER NOT NULL, -- of the family
	stage          INTEGER NOT NULL, -- of marking the records that it ended
	after_id       INTEGER NOT NULL, -- those up to it are marked
	waits_until    INTEGER NOT NULL,
	PRIMARY KEY (user_id, application_id, family)
) WITHOUT ROWID;

CREATE INDEX auth_cutoffs_seq ON auth_cutoffs (seq);
CREATE INDEX auth_cutoffs_waits ON auth_cutoffs (waits_until, seq);

CREATE TABLE auth_consents (
	user_id           TEXT NOT NULL,
	application_id    INTEGER NOT NULL,
	uri_digest        BLOB NOT NULL, -- SHA-256 of redirect_uri, which may be long
	application_epoch INTEGER NOT NULL,
	redirect_uri      TEXT NOT NULL,
	scopes            TEXT NOT NULL,
	audience          TEXT NOT NULL,
	created_at        INTEGER NOT NULL,
	PRIMARY KEY (user_id, application_id, uri_digest)
) WITHOUT ROWID;

CREATE INDEX auth_consents_application ON auth_consents (application_id);

ALTER TABLE auth_locks ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;

ALTER TABLE auth_applications ADD COLUMN disabled BOOLEAN NOT NULL DEFAULT FALSE;
-- The epoch is the revision without the updates that asked nobody again, so that
-- one by an older program raises it.
ALTER TABLE auth_applications ADD COLUMN quiet_updates INTEGER NOT NULL DEFAULT 0;

ALTER TABLE auth_codes ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE auth_devices ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;

-- The number of the newest cut-off when the token was issued.
ALTER TABLE auth_tokens ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE auth_tokens ADD COLUMN independent BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE auth_tokens ADD COLUMN root_id INTEGER NOT NULL DEFAULT 0;
-- The families above, from the root down, with ! before independent ones.
ALTER TABLE auth_tokens ADD COLUMN ancestors TEXT NOT NULL DEFAULT '';
-- The application through which the token that minted it came.
ALTER TABLE auth_tokens ADD COLUMN via_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE auth_tokens ADD COLUMN refresh_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE auth_tokens ADD COLUMN grant_created_at INTEGER;
-- When it may be removed, 0 where an older program stored it.
ALTER TABLE auth_tokens ADD COLUMN purge_at INTEGER NOT NULL DEFAULT 0;

-- parent_id was the ID of the token that minted it and is now its family.
WITH RECURSIVE tree (id, family, parent, root, above, via, depth) AS (
	SELECT t.id, t.family, p.family, p.family, CAST(p.family AS TEXT), p.application_id, 1
	FROM auth_tokens t JOIN auth_tokens p ON p.id = t.parent_id
	WHERE t.parent_id <> 0 AND p.parent_id = 0
	UNION ALL
	SELECT t.id, t.family, p.family, tree.root, tree.above || ' ' || CAST(p.family AS TEXT),
		CASE WHEN p.application_id <> 0 THEN p.application_id ELSE tree.via END, tree.depth + 1
	FROM tree JOIN auth_tokens p ON p.id = tree.id JOIN auth_tokens t ON t.parent_id = p.id
	WHERE tree.depth < 8
)
UPDATE auth_tokens SET parent_id = tree.parent, root_id = tree.root, ancestors = tree.above, via_id = tree.via
FROM tree WHERE tree.id = auth_tokens.id;

DROP INDEX auth_tokens_parent;
CREATE INDEX auth_tokens_minted ON auth_tokens (parent_id, revoked_at) WHERE parent_id <> 0;
CREATE INDEX auth_tokens_root ON auth_tokens (root_id, revoked_at, expires_at) WHERE root_id <> 0;
CREATE INDEX auth_tokens_via ON auth_tokens (via_id, id) WHERE via_id <> 0;
DROP INDEX auth_tokens_family;
CREATE INDEX auth_tokens_live ON auth_tokens (family, revoked_at);
CREATE INDEX auth_tokens_purge ON auth_tokens (purge_at);
