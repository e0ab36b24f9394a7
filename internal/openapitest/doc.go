// Package openapitest has two programs from npm check the document that package
// httpapi serves at /api/v2/schema/: openapi-schema-validator by the schema of
// OpenAPI, and the linter of Redocly by its strict rules.
package openapitest
