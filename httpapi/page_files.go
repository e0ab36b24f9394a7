package httpapi

import (
	"embed"
	"io/fs"
)

//go:embed pages
var embedded embed.FS

// pageFiles are the files of the pages that this package has.
var pageFiles = func() fs.FS {
	files, err := fs.Sub(embedded, "pages")
	if err != nil {
		panic(err) // the name is a constant
	}
	return files
}()
