// Package deploytest tests the files of examples/deploy: it builds the container's
// content by the instructions of its file and runs it as the container would, without
// an engine, and has systemd look at the unit.
package deploytest
