package clientdoc_test

import (
	"context"
	"fmt"
	"log"

	"github.com/ostiary/auth/clientdoc"
)

// A fetcher for clients of one house and of one other host. Administrators can block
// hosts while the service runs.
func ExampleNew() {
	blocked := map[string]bool{"old.house.example": true} // from a database
	documents, err := clientdoc.New(&clientdoc.Options{
		AllowHosts: []string{".house.example", "client.example"},
		Allow:      func(_ context.Context, host string) (bool, error) { return !blocked[host], nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, clientID := range []string{
		"https://old.house.example/client.json",
		"https://evil.example/client.json",
		"https://169.254.169.254/latest/meta-data/",
		"https://client.example",
	} {
		_, err := documents.Document(context.Background(), clientID, nil)
		fmt.Println(err)
	}

	_, err = clientdoc.New(nil)
	fmt.Println(err)
	// Output:
	// clientdoc: Applications of this host are not accepted here.
	// clientdoc: Applications of this host are not accepted here.
	// clientdoc: The address of the application must have the full name of a public host, in lower case.
	// clientdoc: The address of the application must have a path without dot segments.
	// clientdoc: Options.AllowHosts is empty, so that no document would be accepted; "*" accepts every host
}

func ExampleParse() {
	document, err := clientdoc.Parse("https://client.example/client.json", []byte(`{
		"client_id": "https://client.example/client.json",
		"client_name": "Tool",
		"redirect_uris": ["http://127.0.0.1/callback"],
		"token_endpoint_auth_method": "none"
	}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(document.Host, document.Name, document.LoopbackOnly())
	// Output: client.example Tool true
}
