package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/ostiary/auth"
)

// notes has the notes of each user, and the scopes that each tool needs.
type notes struct {
	needs map[string]auth.Scopes
	mu    sync.Mutex
	of    map[string][]string
}

const (
	maxNotes = 100
	maxBody  = 64 << 10 // bytes
)

// handler returns the tools, for a principal of the gate.
func (n *notes) handler(gate *auth.Gate) http.Handler {
	tools := mcp.NewStreamableHTTPHandler(func(r *http.Request) *mcp.Server {
		p, _ := auth.FromContext(r.Context())
		return n.server(p)
	}, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true}) // so that each request has a server of its own
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			gate.Deny(w, r, &auth.Error{Status: http.StatusRequestEntityTooLarge, Detail: "The request is too large, or ended early.", Err: err})
			return
		}
		p, err := gate.Recheck(r) // the client decided how long the body took
		if err != nil {
			gate.Deny(w, r, err)
			return
		}
		r = r.WithContext(auth.NewContext(r.Context(), p))
		r.Body = io.NopCloser(bytes.NewReader(body))
		// Clients step up after a 403 of HTTP and not after an error in JSON. The server
		// checks the call again, because its parser is another one.
		var call struct {
			Method string
			Params struct{ Name string }
		}
		if json.Unmarshal(body, &call) == nil && call.Method == "tools/call" {
			if scopes, known := n.needs[call.Params.Name]; known && !scopes.Within(p.Scopes) {
				gate.Deny(w, r, &auth.Error{
					Status: http.StatusForbidden, Code: "insufficient_scope", Scope: string(scopes),
					Detail: "The tool needs a scope that the access token does not have.",
				})
				return
			}
		}
		tools.ServeHTTP(w, r)
	})
}

type (
	nothing struct{}
	note    struct {
		Text string `json:"text" jsonschema:"the text of the note"`
	}
	list struct {
		Notes []string `json:"notes"`
	}
)

// server returns the tools that act for p.
func (n *notes) server(p *auth.Principal) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "v1"}, nil)
	s.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if call, ok := req.GetParams().(*mcp.CallToolParamsRaw); ok {
				if scopes, known := n.needs[call.Name]; !known || !scopes.Within(p.Scopes) {
					return nil, fmt.Errorf("the tool %q is not there, or the access token lacks a scope for it", call.Name)
				}
			}
			return next(ctx, method, req)
		}
	})
	mcp.AddTool(s, &mcp.Tool{Name: "list_notes", Description: "List the notes of the user."},
		func(context.Context, *mcp.CallToolRequest, nothing) (*mcp.CallToolResult, list, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			return nil, list{append([]string{}, n.of[p.ID]...)}, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "add_note", Description: "Add a note."},
		func(_ context.Context, _ *mcp.CallToolRequest, in note) (*mcp.CallToolResult, list, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			if len(n.of[p.ID]) >= maxNotes {
				return nil, list{}, errors.New("there are too many notes")
			}
			if n.of == nil {
				n.of = make(map[string][]string)
			}
			n.of[p.ID] = append(n.of[p.ID], in.Text)
			return nil, list{slices.Clone(n.of[p.ID])}, nil
		})
	return s
}
