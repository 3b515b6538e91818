# Varnish as the cache in front of a region's nodes, with the same rules as nginx.conf. Those who wait for an answer get it at the
# moment at which it comes, and while it comes: for low latency it is the better of the two.
#
#   varnishd -F -f /etc/pushcart-cdn/varnish.vcl -a :8080 -s malloc,4g
#
# This one is for eu; elsewhere the backends are in another order.
vcl 4.1;

import directors;

probe well {
    .url = "/.well-known/jwks.json";
    .interval = 1s;
    .timeout = 1s;
    .window = 3;
    .threshold = 2;
    .initial = 2;
}

# A node holds a request for 60 s at most.
backend eu_1 { .host = "eu-1"; .port = "8080"; .probe = well; .connect_timeout = 1s; .first_byte_timeout = 70s; .between_bytes_timeout = 10s; }
backend eu_2 { .host = "eu-2"; .port = "8080"; .probe = well; .connect_timeout = 1s; .first_byte_timeout = 70s; .between_bytes_timeout = 10s; }
backend us_1 { .host = "us-1"; .port = "8080"; .probe = well; .connect_timeout = 1s; .first_byte_timeout = 70s; .between_bytes_timeout = 10s; }

sub vcl_init {
    # The first that is well: the region's own, then the other region's.
    new origins = directors.fallback();
    origins.add_backend(eu_1);
    origins.add_backend(eu_2);
    origins.add_backend(us_1);
}

sub vcl_recv {
    if (req.url ~ "^/whip/") {
        return (synth(404, "publish to a node"));
    }
    # The API, but for where a stream is, is not for caches. Events are passed on as they come.
    if (req.url ~ "^/api/" && req.url !~ "^/api/v1/where/") {
        return (pass);
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    # Nothing that nodes answer here depends on these, and Varnish would keep nothing that was asked for with them.
    unset req.http.Cookie;
    unset req.http.Authorization;
    return (hash);
}

sub vcl_hash {
    # The whole address as it was written: _HLS_msn, _HLS_part and _HLS_skip say which playlist is meant. Plain and gzip are one
    # object to Varnish. Of many who ask for the same, one asks the node, and the others wait for the same answer.
    hash_data(req.url);
    return (lookup);
}

sub vcl_backend_fetch {
    # The one that is well may have gone within this second.
    if (bereq.retries == 0) {
        set bereq.backend = origins.backend();
    } elsif (bereq.retries == 1) {
        set bereq.backend = eu_2;
    } else {
        set bereq.backend = us_1;
    }
    if (bereq.url ~ "^/api/") {
        set bereq.between_bytes_timeout = 1h;
    }
}

sub vcl_backend_response {
    # What is out of date is not given out, however short: players would go back in time.
    set beresp.grace = 0s;
    # But its ETag may save the bytes when it is asked for anew.
    set beresp.keep = 10s;
    if (beresp.http.Cache-Control ~ "no-store|private") {
        # Who comes within the next second need not wait for another's answer that will not be shared.
        set beresp.uncacheable = true;
        set beresp.ttl = 1s;
        return (deliver);
    }
    # What nodes say nothing about is not kept; nor is an error, beyond a second.
    if (!beresp.http.Cache-Control || beresp.ttl <= 0s) {
        set beresp.uncacheable = true;
        set beresp.ttl = 1s;
    } elsif (beresp.status >= 400 && beresp.ttl > 1s) {
        set beresp.ttl = 1s;
    }
    return (deliver);
}

sub vcl_backend_error {
    if (bereq.retries < 2 && (bereq.method == "GET" || bereq.method == "HEAD")) {
        return (retry);
    }
}

sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
}
