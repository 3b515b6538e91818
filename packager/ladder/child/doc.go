// Package child runs ffmpeg as a supervised process: its pipes, its progress, its last words, and its end. It knows nothing
// of streams.
//
// A child reads what it is given on descriptor 0, tells its progress on descriptor 3 (-progress pipe:3) and writes its
// outputs to descriptors 4 and on. It has a process group of its own and no more of the environment than it needs. On Linux
// the kernel kills it when this program ends, however it ends; elsewhere it ends because its standard input does.
//
// Nothing of a child outlives Close: no process, no goroutine, no descriptor.
package child
