-- Asks with the method that is named after "--", and prints what wrk counted as one line of JSON; times are in
-- microseconds.
init = function(args)
  wrk.method = args[1] or "GET"
end

done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "duration": %d, "p50": %d, "p99": %d, "status": %d, "socket": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
