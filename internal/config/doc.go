// Package config reads the settings of a node: built-in defaults, a YAML file over them, and environment variables over
// that. It finds every mistake in one go and says for each where it is and what was expected.
//
// The structs in config.go are the only list of settings there is: decoding, environment variables, ranges, comparison
// for reloading and the check of the documented file all read it by reflection. A setting is a field there and a passage in
// configs/pushcart.yaml.
package config
