-- The tables of django-ansible-base that an import reads, beside those of a service with
-- users of its own. Tokens are kept as the SHA-256 of their text, in one of two spellings.
-- @recent is a date in the last month.
CREATE TABLE django_migrations (id bigint PRIMARY KEY, app varchar(255) NOT NULL, name varchar(255) NOT NULL, applied timestamp with time zone NOT NULL);

CREATE TABLE aap_gateway_api_user (id bigint PRIMARY KEY, password varchar(128) NOT NULL, last_login timestamp with time zone, is_superuser boolean NOT NULL, username varchar(150) NOT NULL UNIQUE, first_name varchar(150) NOT NULL, last_name varchar(150) NOT NULL, email varchar(254) NOT NULL, is_staff boolean NOT NULL, is_active boolean NOT NULL, date_joined timestamp with time zone NOT NULL, is_system_auditor boolean NOT NULL, created timestamp with time zone NOT NULL, modified timestamp with time zone NOT NULL);

CREATE TABLE dab_rbac_roledefinition (id bigint PRIMARY KEY, name text NOT NULL UNIQUE);

CREATE TABLE dab_rbac_roleuserassignment (id bigint PRIMARY KEY, role_definition_id bigint NOT NULL, user_id bigint NOT NULL, object_id text, content_type_id integer);

CREATE TABLE dab_oauth2_provider_oauth2application (id bigint PRIMARY KEY, created timestamp with time zone NOT NULL, modified timestamp with time zone NOT NULL, name varchar(512) NOT NULL, client_id varchar(100) NOT NULL UNIQUE, description text NOT NULL, logo_data text NOT NULL, client_secret varchar(1024) NOT NULL, client_type varchar(32) NOT NULL, skip_authorization boolean NOT NULL, authorization_grant_type varchar(32) NOT NULL, organization_id bigint, algorithm varchar(5) NOT NULL, post_logout_redirect_uris text NOT NULL, redirect_uris text NOT NULL, user_id bigint REFERENCES aap_gateway_api_user (id), pkce_required boolean NOT NULL, UNIQUE (name, organization_id));

CREATE TABLE dab_oauth2_provider_oauth2accesstoken (id bigint PRIMARY KEY, created timestamp with time zone NOT NULL, modified timestamp with time zone NOT NULL, description text NOT NULL, last_used timestamp with time zone, scope varchar(32) NOT NULL, user_id bigint REFERENCES aap_gateway_api_user (id), application_id bigint REFERENCES dab_oauth2_provider_oauth2application (id), expires timestamp with time zone NOT NULL, token varchar(255) NOT NULL UNIQUE);

CREATE TABLE dab_oauth2_provider_oauth2refreshtoken (id bigint PRIMARY KEY, created timestamp with time zone NOT NULL, modified timestamp with time zone NOT NULL, application_id bigint NOT NULL, revoked timestamp with time zone, token varchar(255) NOT NULL, user_id bigint NOT NULL, access_token_id bigint UNIQUE, UNIQUE (token, revoked));

INSERT INTO django_migrations VALUES (1, 'contenttypes', '0001_initial', '2024-03-01 10:00:00.123456+00');

INSERT INTO aap_gateway_api_user VALUES
	(2, 'pbkdf2_sha256$1000$QkV5c2FsdDEyMzQ1Njc4OTAx$ci3bAL4Ix1j40CN6cwNl+3eM/Q3N41eGcz8SSEDbZl0=', NULL, true, 'admin', '', '', '', true, true, '2024-03-01 10:00:00+00', false, '2024-03-01 10:00:00+00', '2024-03-01 10:00:00+00'),
	(3, 'pbkdf2_sha256$1000$QkV5c2FsdDEyMzQ1Njc4OTAx$ci3bAL4Ix1j40CN6cwNl+3eM/Q3N41eGcz8SSEDbZl0=', NULL, false, 'auditor', '', '', '', true, true, '2024-03-01 10:00:00+00', true, '2024-03-01 10:00:00+00', '2024-03-01 10:00:00+00'),
	(4, 'pbkdf2_sha256$1000$QkV5c2FsdDEyMzQ1Njc4OTAx$ci3bAL4Ix1j40CN6cwNl+3eM/Q3N41eGcz8SSEDbZl0=', NULL, false, 'alice', '', '', '', true, true, '2024-03-01 10:00:00+00', false, '2024-03-01 10:00:00+00', '2024-03-01 10:00:00+00');

INSERT INTO dab_rbac_roledefinition VALUES (1, 'Organization Admin'), (2, 'Organization Member'), (3, 'Team Member'), (4, 'Platform Auditor');

INSERT INTO dab_rbac_roleuserassignment VALUES (1, 1, 4, '1', 7), (2, 2, 3, '1', 7), (3, 3, 4, '9', 8), (4, 4, 4, NULL, NULL);

-- The secret is "correct horse".
INSERT INTO dab_oauth2_provider_oauth2application VALUES
	(1, '2024-05-01 00:00:00+00', '2024-05-01 00:00:00+00', 'app', 'dabClientIdentifier', '', '', 'pbkdf2_sha256$1000$QkV5c2FsdDEyMzQ1Njc4OTAx$ci3bAL4Ix1j40CN6cwNl+3eM/Q3N41eGcz8SSEDbZl0=', 'confidential', false, 'authorization-code', 1, '', '', 'https://app.example/cb', NULL, true);

-- The tokens are dabaccess1ABCDEFGHIJ0123456789, dabpersonaABCDEFGHIJ0123456789,
-- dabbefore1ABCDEFGHIJ0123456789 and dabrefreshABCDEFGHIJ0123456789.
INSERT INTO dab_oauth2_provider_oauth2accesstoken VALUES
	(1, '@recent', '@recent', '', NULL, 'write', 4, 1, '3024-01-01 00:00:00+00', 'b935076f068393c049b23fdd05bbcdc2940c13146899c79c6508966c05cdad29'),
	(2, '@recent', '@recent', 'mine', NULL, 'read', 3, NULL, '3024-01-01 00:00:00+00', '$sha256$e41ac33430548163c7c19792940614c69d4a726f441633f325e838a91f6e502b'),
	(3, '@recent', '@recent', '', NULL, 'read', 2, NULL, '3024-01-01 00:00:00+00', 'dabbefore1ABCDEFGHIJ0123456789');

INSERT INTO dab_oauth2_provider_oauth2refreshtoken VALUES
	(1, '@recent', '@recent', 1, NULL, '2059d4f11d486f0c45d6b892ee5686316667ca2bea4a6156de9c135ae14f26c6', 4, 1);
