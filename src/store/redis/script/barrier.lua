local time = redis.call('TIME')
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
return { time[1], time[2], last and last[1] or redis.call('HGET', KEYS[1], 'checkpoint') or '0-0' }
