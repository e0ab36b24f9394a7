-- compatible: 1

-- What a token was minted by, and cut-offs: revocations that every read sees
-- before the records are marked. Columns and keys that are there already, because
-- a call was interrupted, are no error.

-- The oldest version whose programs go on beside this one.
ALTER TABLE auth_schema ADD COLUMN compatible BIGINT NOT NULL DEFAULT 0;

INSERT IGNORE INTO auth_counters (name, last_id) VALUES ('cutoffs', 0);

-- Everything issued before ends: that of a user, through an application, minted
-- by a family. '' and 0 are any.
CREATE TABLE IF NOT EXISTS auth_cutoffs (
	user_id        VARBINARY(255) NOT NULL,
	application_id BIGINT NOT NULL,
	family         BIGINT NOT NULL,
	seq            BIGINT NOT NULL,
	cut_at         BIGINT NOT NULL,
	root_id        BIGINT NOT NULL, -- of the family
	stage          BIGINT NOT NULL, -- of marking the records that it ended
	after_id       BIGINT NOT NULL, -- those up to it are marked
	waits_until    BIGINT NOT NULL,
	PRIMARY KEY (user_id, application_id, family),
	KEY auth_cutoffs_seq (seq),
	KEY auth_cutoffs_waits (waits_until, seq)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS auth_consents (
	user_id           VARBINARY(255) NOT NULL,
	application_id    BIGINT NOT NULL,
	uri_digest        BINARY(32) NOT NULL, -- SHA-256 of redirect_uri, which may be long
	application_epoch BIGINT NOT NULL,
	redirect_uri      MEDIUMBLOB NOT NULL,
	scopes            MEDIUMBLOB NOT NULL,
	audience          MEDIUMBLOB NOT NULL,
	created_at        BIGINT NOT NULL,
	PRIMARY KEY (user_id, application_id, uri_digest),
	KEY auth_consents_application (application_id)
) ENGINE = InnoDB;

ALTER TABLE auth_locks ADD COLUMN uses BIGINT NOT NULL DEFAULT 0;

-- The epoch is the revision without the updates that asked nobody again, so that
-- one by an older program raises it.
ALTER TABLE auth_applications
	ADD COLUMN disabled BOOLEAN NOT NULL DEFAULT FALSE,
	ADD COLUMN quiet_updates BIGINT NOT NULL DEFAULT 0;

ALTER TABLE auth_codes ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE auth_devices ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;

-- purge_at is 0 where an older program stored the token.
ALTER TABLE auth_tokens
	ADD COLUMN seq BIGINT NOT NULL DEFAULT 0, -- of the newest cut-off when it was issued
	ADD COLUMN independent BOOLEAN NOT NULL DEFAULT FALSE,
	ADD COLUMN root_id BIGINT NOT NULL DEFAULT 0,
	ADD COLUMN ancestors VARBINARY(255) NOT NULL DEFAULT '', -- families from the root down, ! before independent ones
	ADD COLUMN via_id BIGINT NOT NULL DEFAULT 0, -- application of the token that minted it
	ADD COLUMN refresh_number BIGINT NOT NULL DEFAULT 0,
	ADD COLUMN grant_created_at BIGINT,
	ADD COLUMN purge_at BIGINT NOT NULL DEFAULT 0;

-- parent_id was the ID of the token that minted it and is now its family. Those
-- that have ancestors were done before.
UPDATE auth_tokens t JOIN (
	WITH RECURSIVE tree (id, parent, root, above, via, depth) AS (
		SELECT t.id, p.family, p.family, CAST(p.family AS CHAR(255)), p.application_id, 1
		FROM auth_tokens t JOIN auth_tokens p ON p.id = t.parent_id
		WHERE t.parent_id <> 0 AND p.parent_id = 0
		UNION ALL
		SELECT t.id, p.family, tree.root, CONCAT(tree.above, ' ', p.family),
			CASE WHEN p.application_id <> 0 THEN p.application_id ELSE tree.via END, tree.depth + 1
		FROM tree JOIN auth_tokens p ON p.id = tree.id JOIN auth_tokens t ON t.parent_id = p.id
		WHERE tree.depth < 8
	)
	SELECT * FROM tree
) tree ON tree.id = t.id
SET t.parent_id = tree.parent, t.root_id = tree.root, t.ancestors = tree.above, t.via_id = tree.via
WHERE t.ancestors = '';

ALTER TABLE auth_tokens
	ADD KEY auth_tokens_minted (parent_id, revoked_at),
	ADD KEY auth_tokens_root (root_id, revoked_at, expires_at),
	ADD KEY auth_tokens_via (via_id, id),
	ADD KEY auth_tokens_live (family, revoked_at),
	ADD KEY auth_tokens_purge (purge_at);
ALTER TABLE auth_tokens DROP KEY auth_tokens_parent, DROP KEY auth_tokens_family;
