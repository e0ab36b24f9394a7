// Package clustertest tests several processes of the example server on the
// databases of a cluster, from outside, while parts of the cluster fail.
package clustertest
