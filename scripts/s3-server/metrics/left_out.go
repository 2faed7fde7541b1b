package metrics

import "errors"

// In place of what sends metrics.

var errLeftOut = errors.New("left out of this build")

func newStatsd(_, _ string) (publisher, error) { return nil, errLeftOut }

func newDogStatsd(_, _ string) (publisher, error) { return nil, errLeftOut }
