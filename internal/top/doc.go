// Package top makes a live view of a node for a terminal: what is read of the node (Sample), what is seen between two samples
// (Frame), what the operator chose to see (View), and the lines of a screen (Render). All of it is pure; whoever calls it asks the
// node and has the terminal.
package top
