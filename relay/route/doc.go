// Package route helps viewers to the node that is nearest to them, and shows the operator the cluster.
//
// What is near follows from the viewer's country and the operator's map of countries to regions. The nodes, and what they hold,
// are those that the directory has heard of.
package route
