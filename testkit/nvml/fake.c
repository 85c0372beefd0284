/* A stand-in for NVIDIA's management library, for tests: what is called of it, with the types of the
   NVML API Reference, and the ways in which it goes wrong. MODE is chosen when it is compiled. */

#include <string.h>
#include <unistd.h>

#define HEALTHY 0          /* two GPUs */
#define NO_DRIVER 1        /* the kernel driver is not loaded */
#define JETSON 2           /* one GPU that does not tell */
#define FEW_SYMBOLS 3      /* only what is needed to list GPUs */
#define FOUR_BILLION 4     /* a count without sense */
#define NO_TERMINATOR 5    /* texts that fill their buffers */
#define ABSURD 6           /* numbers without sense */
#define HANGS_AT_START 7
#define HANGS_LATER 8
#define MANY_PROCESSES 9   /* more than fit at first */
#define NOT_NVML 10        /* a library without any of the functions */

#ifndef MODE
#define MODE HEALTHY
#endif

#define SUCCESS 0
#define NOT_SUPPORTED 3
#define INSUFFICIENT_SIZE 7
#define DRIVER_NOT_LOADED 9
#define GPU_IS_LOST 15

struct memory { unsigned long long total, free, used; };
struct utilization { unsigned int gpu, memory; };
struct pci_info {
    char bus_id_legacy[16];
    unsigned int domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};
struct process {
    unsigned int pid;
    unsigned long long used_bytes;
    unsigned int gpu_instance, compute_instance;
};

#if MODE != NOT_NVML

static char gpus[2];

static unsigned int index_of(void *device) { return (unsigned int)((char *)device - gpus); }

static int text(const char *from, char *to, unsigned int length) {
    if (MODE == NO_TERMINATOR) {
        memset(to, 'N', length);
        return SUCCESS;
    }
    if (strlen(from) + 1 > length) {
        return INSUFFICIENT_SIZE;
    }
    strcpy(to, from);
    return SUCCESS;
}

int nvmlInit_v2(void) {
    if (MODE == HANGS_AT_START) {
        sleep(3600);
    }
    return MODE == NO_DRIVER ? DRIVER_NOT_LOADED : SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    static int calls;
    if (MODE == HANGS_LATER && ++calls > 1) {
        sleep(3600);
    }
    *count = MODE == FOUR_BILLION ? 4000000000u : MODE == HEALTHY ? 2 : 1;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    *device = &gpus[index];
    return SUCCESS;
}

int nvmlDeviceGetName(void *device, char *to, unsigned int length) {
    return text(index_of(device) ? "NVIDIA RTX 2000 Ada" : "NVIDIA L4", to, length);
}

#if MODE != FEW_SYMBOLS

int nvmlShutdown(void) { return SUCCESS; }

int nvmlSystemGetDriverVersion(char *to, unsigned int length) {
    return text("570.86.15", to, length);
}

int nvmlDeviceGetUUID(void *device, char *to, unsigned int length) {
    return text(index_of(device) ? "GPU-2b" : "GPU-1a", to, length);
}

int nvmlDeviceGetPciInfo_v3(void *device, struct pci_info *info) {
    if (MODE == JETSON) {
        return NOT_SUPPORTED;
    }
    info->domain = 0;
    info->bus = index_of(device) ? 0x41 : 0x01;
    info->device = 0;
    strcpy(info->bus_id, index_of(device) ? "00000000:41:00.0" : "00000000:01:00.0");
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory) {
    if (MODE == JETSON) {
        return NOT_SUPPORTED;
    }
    memory->total = 24ull << 30;
    memory->used = MODE == ABSURD ? 1ull << 60 : (index_of(device) + 1ull) << 30;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *device, struct utilization *rates) {
    if (MODE == JETSON) {
        return NOT_SUPPORTED;
    }
    if (MODE == HEALTHY && index_of(device) == 1) {
        return GPU_IS_LOST;
    }
    rates->gpu = MODE == ABSURD ? 4096 : 37;
    rates->memory = 12;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *device, unsigned int sensor, unsigned int *celsius) {
    (void)device;
    *celsius = MODE == ABSURD ? 65535 : 51;
    return sensor == 0 && MODE != JETSON ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts) {
    (void)device;
    *milliwatts = 28500;
    return MODE == JETSON ? NOT_SUPPORTED : SUCCESS;
}

/* One joule more at each call. */
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    static unsigned long long calls[2];
    *millijoules = 5000000 + 1000 * calls[index_of(device)]++;
    return MODE == JETSON ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetClockInfo(void *device, unsigned int clock, unsigned int *megahertz) {
    (void)device;
    *megahertz = clock == 1 ? 1530 : 6251;
    return MODE == JETSON ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetMaxClockInfo(void *device, unsigned int clock, unsigned int *megahertz) {
    (void)device;
    *megahertz = clock == 1 ? 2040 : 6251;
    return MODE == JETSON ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *count,
                                            struct process *processes) {
    unsigned int has = MODE == MANY_PROCESSES ? 3000 : index_of(device) ? 0 : 2;
    if (MODE == JETSON) {
        return NOT_SUPPORTED;
    }
    if (MODE == ABSURD) {
        *count = 4000000000u;
        return SUCCESS;
    }
    if (*count < has) {
        *count = has;
        return INSUFFICIENT_SIZE;
    }
    for (unsigned int i = 0; i < has; i++) {
        processes[i].pid = 100 + i;
        processes[i].used_bytes = i == 1 ? ~0ull : 512ull << 20;
    }
    *count = has;
    return SUCCESS;
}

#endif
#endif
