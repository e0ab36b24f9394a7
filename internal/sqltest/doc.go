// Package sqltest tests package sqlstore on real databases.
package sqltest
