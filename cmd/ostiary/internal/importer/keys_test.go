package importer_test

import (
	"os"
	"strings"
	"testing"

	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
)

// A source with UUIDs for the keys of users is refused with what to do, and taken by the
// views that the guide has.
func TestKeysAreNoNumbers(t *testing.T) {
	name, from := sourceOf(t, places[1], "dab.sql")
	for _, table := range []string{"dab_oauth2_provider_oauth2application", "dab_oauth2_provider_oauth2accesstoken"} {
		run(t, from, "ALTER TABLE "+table+" DROP CONSTRAINT "+table+"_user_id_fkey")
	}
	for table, column := range map[string]string{
		"aap_gateway_api_user": "id", "dab_rbac_roleuserassignment": "user_id", "dab_oauth2_provider_oauth2application": "user_id",
		"dab_oauth2_provider_oauth2accesstoken": "user_id", "dab_oauth2_provider_oauth2refreshtoken": "user_id",
	} {
		run(t, from, "ALTER TABLE "+table+" ALTER "+column+" TYPE uuid USING CAST(MD5(CAST("+column+" AS TEXT)) AS uuid)")
	}
	to := target(t, places[0].fresh(t))
	o := importer.Options{Kind: importer.DAB, Now: start, Tables: importer.Tables{Users: "aap_gateway_api_user"}}
	_, err := importer.Run(t.Context(), from, to, o)
	if err == nil || !strings.Contains(err.Error(), "doc/moving-in.md") || len(dump(t, to)) > 0 {
		t.Errorf("UUIDs: %v", err)
	}

	guide, err := os.ReadFile("../../../../doc/moving-in.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```sql\nCREATE SCHEMA moving")
	views, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the guide has no views")
	}
	for statement := range strings.SplitSeq("CREATE SCHEMA moving"+views, ";\n") {
		if strings.TrimSpace(statement) != "" {
			run(t, from, statement)
		}
	}
	from = source(t, name+"&search_path=moving,public")
	report := mustImport(t, from, to, o)
	if got := serve(t, to).me("dabaccess1ABCDEFGHIJ0123456789"); got != "alice" {
		t.Errorf("a token is of %q: %+v", got, report.Counts["tokens"])
	}
	if u, err := to.Store.UserByName(t.Context(), "auditor"); err != nil || len(u.ID) != 1 || !u.Auditor {
		t.Errorf("auditor is %+v, %v", u, err)
	}
	if got := remarked(report, importer.LeftOut, "members of organizations"); got != 2 {
		t.Errorf("%d members", got)
	}
}
